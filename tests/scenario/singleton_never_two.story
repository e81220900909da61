# A singleton restarts in place; when the budget there is spent it moves; two never run.
system single
+0s begin
  0.001s start one/a epoch 1: first choice of the file that may start
  [one/a up; one/b stopped; S=1.00]
+5s crash_at_start one/a for 10s
  [one/a up; one/b stopped; S=1.00]
+10ms crash one/a
  5.011s == i-1 one/a detected: its process is ending
  5.011s == i-1 one detected: S = 0.00, at or under the threshold 0.50
  5.011s == i-1 sim detected: whole system: S = 0.00, at or under the threshold 0.50
  5.011s start one/a attempt 1 epoch 2: killed by SIGSEGV
  5.011s == i-1 one/a detected: killed by SIGSEGV
  5.011s == i-1 one/a diagnosed: process_exited: killed by SIGSEGV
  5.032s == i-1 one/a detected: its process is ending
  5.033s == i-1 one/a detected: exited with code 1
  5.134s start one/a attempt 2 epoch 3: exited with code 1
  5.155s == i-1 one/a detected: its process is ending
  5.380s start one/a attempt 3 epoch 4: exited with code 1
  5.402s == i-1 one/a detected: its process is ending
  5.402s stop one/a: a fails again after each restart; b takes over
  5.402s == i-1 one/a diagnosed: restart_budget_spent: it fails again after each restart
  5.413s start one/b epoch 5: a fails again after each restart; no other member runs
  5.539s == i-1 one failed over: serves again, by b under epoch 5; outage 529ms
  5.539s == i-1 one recovered: redundancy restored, 1/1; outage 529ms
  [one/a stopped; one/b up; S=1.00]
+20s end
