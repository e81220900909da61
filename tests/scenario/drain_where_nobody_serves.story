# A member that is down is not called the last that can serve; draining it is refused all the same, as it may come back.
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
+5s fail_start pair/a for 2s
  [pair/a up primary; pair/b up; S=1.00]
+10ms fail_start pair/b for 2s
  [pair/a up primary; pair/b up; S=1.00]
+10ms crash pair/b
  5.021s route pair [active a; a in, b out]: b out
  5.021s == i-1 pair/b detected: its process is ending
  5.021s == i-1 pair detected: S = 0.50, at or under the threshold 0.50
  5.021s == i-1 sim detected: whole system: S = 0.50, at or under the threshold 0.50
  5.021s start pair/b attempt 1 epoch 1: killed by SIGSEGV
  5.021s == i-1 pair/b detected: killed by SIGSEGV
  5.021s == i-1 pair/b diagnosed: process_exited: killed by SIGSEGV
  5.024s route pair [active a; a in, b down]: b down
  5.027s == i-1 pair failed over: traffic goes on without it, by a under epoch 1
  [pair/a up primary; pair/b down (start); S=0.50]
+10ms crash pair/a
  5.030s route pair [active a; a out, b down]: a out
  5.030s == i-1 pair/a detected: its process is ending
  5.030s == i-1 pair detected: S = 0.00, at or under the threshold 0.50
  5.030s == i-1 sim detected: whole system: S = 0.00, at or under the threshold 0.50
  5.031s start pair/a attempt 1 epoch 1: killed by SIGSEGV
  5.031s == i-1 pair/a diagnosed: process_exited: killed by SIGSEGV
  5.034s route pair [active a; a down, b down]: a down
  5.042s == i-1 pair/b detected: no such program
  5.159s start pair/b attempt 2 epoch 1: no such program
  5.169s start pair/a attempt 2 epoch 1: no such program
  5.391s start pair/b attempt 3 epoch 1: no such program
  5.400s start pair/a attempt 3 epoch 1: no such program
  5.412s == i-1 pair/b diagnosed: restart_budget_spent: it fails again after each restart
  5.421s == i-1 pair/a diagnosed: restart_budget_spent: it fails again after each restart
  [pair/a down; pair/b down; S=0.00; withheld promote pair: no_candidate, start pair/a: budget_spent, start pair/b: budget_spent]
+500ms drain pair/a
  5.530s (drain: refused: pair/a is down, and no other member can serve (b: down); add --force to drain it all the same)
  13.412s start pair/b attempt 4 epoch 1: no such program; one more attempt after 8s
  13.421s start pair/a attempt 4 epoch 1: no such program; one more attempt after 8s
  13.538s promote pair/b epoch 2: no member is primary
  13.538s route pair [active a; a down, b in]: b in
  13.544s route pair [active b; a down, b in]: active b
  13.547s == i-1 pair failed over: serves again, by b under epoch 2; outage 8.52s
  13.547s route pair [active b; a in, b in]: a in
  16.421s == i-1 pair recovered: redundancy restored, 2/2; outage 8.52s
  [pair/a up; pair/b up primary; S=1.00]
+20s end
