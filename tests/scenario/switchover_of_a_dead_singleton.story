# Found by the simulator: the singleton waits for its restart while an operator moves it. Only the new one is started.
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
  [one/a down; one/b stopped; S=0.00; withheld start one/a: backoff]
+150ms switchover one to b
  5.160s stop one/a: switchover asked for by operator; b takes over
  5.171s start one/b epoch 4: switchover asked for by operator; no other member runs
  5.297s == i-1 one failed over: serves again, by b under epoch 4; outage 286ms
  5.297s == i-1 one recovered: redundancy restored, 1/1; outage 286ms
  [one/a stopped; one/b up; S=1.00]
+3s end
