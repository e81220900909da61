# A = 1, B = 0 gives S = 0.50 exactly, which is at the threshold: it is found and acted on, though the primary still serves.
system pair
+0s begin
  0.001s start haproxy/haproxy epoch 1: first choice of the file that may start
  0.001s start pair/a: it should run and does not
  0.001s start pair/b: it should run and does not
  0.122s route pair [a down, b down]: what the balancer does is not known: a down, b down
  0.127s promote pair/a epoch 1: no member is primary
  0.127s route pair [a in, b down]: a in
  0.130s route pair [a in, b in]: b in
  0.133s route pair [active a; a in, b in]: active a
  [pair/a up primary; pair/b up; S=1.00]
+5s fail_start pair/b for 2s
  [pair/a up primary; pair/b up; S=1.00]
+10ms crash pair/b
  5.011s route pair [active a; a in, b out]: b out
  5.011s == i-1 pair/b detected: its process is ending
  5.011s == i-1 pair detected: S = 0.50, at or under the threshold 0.50
  5.011s == i-1 sim detected: whole system: S = 0.50, at or under the threshold 0.50
  5.011s start pair/b attempt 1 epoch 1: killed by SIGSEGV
  5.011s == i-1 pair/b detected: killed by SIGSEGV
  5.011s == i-1 pair/b diagnosed: process_exited: killed by SIGSEGV
  5.013s route pair [active a; a in, b down]: b down
  5.016s == i-1 pair failed over: traffic goes on without it, by a under epoch 1
  5.032s == i-1 pair/b detected: no such program
  5.149s start pair/b attempt 2 epoch 1: no such program
  5.381s start pair/b attempt 3 epoch 1: no such program
  5.402s == i-1 pair/b diagnosed: restart_budget_spent: it fails again after each restart
  [pair/a up primary; pair/b down; S=0.50; withheld start pair/b: budget_spent]
+1s switchover pair
  6.010s (switchover: refused: no candidate: b: down, no such program)
  13.402s start pair/b attempt 4 epoch 1: no such program; one more attempt after 8s
  13.528s route pair [active a; a in, b in]: b in
  16.402s == i-1 pair recovered: redundancy restored, 2/2; outage 0ms
  [pair/a up primary; pair/b up; S=1.00]
+12s end
