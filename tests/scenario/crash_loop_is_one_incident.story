# What fails again after its restart is one fault: its incident stays open until it is stable.
system bare
+0s begin
  0.001s start one/a epoch 1: first choice of the file that may start
  [one/a up; one/b stopped; S=1.00]
+5s crash one/a
  5.000s == i-1 one/a detected: its process is ending
  5.000s == i-1 one detected: S = 0.00, at or under the threshold 0.50
  5.000s == i-1 sim detected: whole system: S = 0.00, at or under the threshold 0.50
  5.001s start one/a attempt 1 epoch 2: killed by SIGSEGV
  5.001s == i-1 one/a detected: killed by SIGSEGV
  5.001s == i-1 one/a diagnosed: process_exited: killed by SIGSEGV
  5.522s == i-1 one failed over: serves again, by a under epoch 2; outage 522ms
  5.522s == i-1 one recovered: redundancy restored, 1/1; outage 522ms
  [one/a up; one/b stopped; S=1.00]
+1500ms crash one/a
  6.500s == i-2 one/a detected: its process is ending
  6.500s == i-2 one detected: S = 0.00, at or under the threshold 0.50
  6.500s == i-2 sim detected: whole system: S = 0.00, at or under the threshold 0.50
  6.501s == i-2 one/a detected: killed by SIGSEGV
  6.501s == i-2 one/a diagnosed: process_exited: killed by SIGSEGV
  6.602s start one/a attempt 2 epoch 3: killed by SIGSEGV
  7.123s == i-2 one failed over: serves again, by a under epoch 3; outage 622ms
  [one/a up; one/b stopped; S=1.00]
+2s crash one/a
  8.501s == i-2 one/a detected: its process is ending
  8.501s == i-2 sim detected: whole system: S = 0.00, at or under the threshold 0.50
  8.726s start one/a attempt 3 epoch 4: killed by SIGSEGV
  9.247s == i-2 one failed over: serves again, by a under epoch 4; outage 746ms
  [one/a up; one/b stopped; S=1.00]
+2s crash one/a
  10.501s == i-2 one/a detected: its process is ending
  10.501s == i-2 one/a detected: fell more than 3 times within 6s
  10.501s == i-2 sim detected: whole system: S = 0.00, at or under the threshold 0.50
  10.501s stop one/a: a fails again after each restart; b takes over
  10.501s == i-2 one/a diagnosed: restart_budget_spent: it fails again after each restart
  10.512s start one/b epoch 5: a fails again after each restart; no other member runs
  10.533s == i-2 one/a diagnosed: unknown: it comes and goes: fell more than 3 times within 6s
  11.033s == i-2 one/a detected: fell more than 3 times within 6s
  11.033s == i-2 one failed over: serves again, by b under epoch 5; outage 533ms
  11.501s == i-2 one recovered: redundancy restored, 1/1; outage 1.9s
  [one/a stopped; one/b up; S=1.00]
+15s end
