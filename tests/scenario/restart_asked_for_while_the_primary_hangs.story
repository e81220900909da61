# Found by the simulator: both wait for a planned restart, the primary hangs. The standby takes over all the same.
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
+5s restart pair
  5.000s route pair [active a; a in, b drain]: b drain
  [pair/a up primary; pair/b up; S=1.00; withheld restart pair/a: role_first, restart pair/b: draining]
+10ms hang pair/a
  5.737s demote pair/a: primary a is down: live: no answer; b takes over
  5.737s route pair [active a; a down, b in]: a down, b in
  5.737s == i-1 pair/a detected: live: no answer
  5.737s == i-1 pair detected: S = 0.50, at or under the threshold 0.50
  5.737s == i-1 pair/a diagnosed: process_hung: its process runs but has not answered for 500ms (no answer)
  5.737s == i-1 sim detected: whole system: S = 0.50, at or under the threshold 0.50
  5.743s promote pair/b epoch 2: no member is primary: a process_hung
  5.743s route pair [active a; a drain, b in]: a drain
  5.743s stop pair/a: asked for by operator
  5.749s route pair [active b; a drain, b in]: active b
  5.752s == i-1 pair failed over: serves again, by b under epoch 2; outage 515ms
  6.744s route pair [active b; a out, b in]: a out
  6.744s start pair/a attempt 1 epoch 2: live: no answer
  6.747s route pair [active b; a down, b in]: a down
  6.870s demote pair/b: it has to be restarted: asked for by operator; a takes over
  6.870s route pair [active b; a in, b in]: a in
  6.876s promote pair/a epoch 3: no member is primary
  6.876s route pair [active b; a in, b drain]: b drain
  6.882s route pair [active a; a in, b drain]: active a
  6.885s == i-1 pair failed over: serves again, by a under epoch 3; outage 9ms
  6.885s == i-1 pair recovered: redundancy restored, 2/2; outage 524ms
  7.001s stop pair/b: asked for by operator
  7.011s route pair [active a; a in, b out]: b out
  7.012s start pair/b epoch 3: asked for by operator
  7.014s route pair [active a; a in, b down]: b down
  7.138s route pair [active a; a in, b in]: b in
  [pair/a up primary; pair/b up; S=1.00]
+12s end
