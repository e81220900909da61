# Found by the simulator: both members hang one after the other. No traffic is told to go to one that is not primary.
system pair_hooks
+0s begin
  0.001s start haproxy/haproxy epoch 1: first choice of the file that may start
  0.001s start pair/a: it should run and does not
  0.001s start pair/b: it should run and does not
  0.122s route pair [a down, b down]: what the balancer does is not known: a down, b down
  0.127s promote pair/a epoch 1: no member is primary
  0.127s route pair [a out, b down]: a out
  0.130s route pair [a out, b out]: b out
  0.133s route pair [active a; a in, b out]: active a, a in
  [pair/a up primary; pair/b up; S=1.00]
+5s hang pair/a
  [pair/a up primary; pair/b up; S=1.00]
+90ms hang pair/b
  5.737s demote pair/a: primary a is down: live: no answer; b takes over
  5.737s == i-1 pair/a detected: live: no answer
  5.737s == i-1 pair detected: S = 0.50, at or under the threshold 0.50
  5.737s == i-1 pair/a diagnosed: process_hung: its process runs but has not answered for 500ms (no answer)
  5.737s == i-1 sim detected: whole system: S = 0.50, at or under the threshold 0.50
  5.737s route pair [active a; a in, b down]: b down
  5.737s == i-1 pair/b detected: live: no answer
  5.737s == i-1 pair detected: S = 0.00, at or under the threshold 0.50
  5.737s == i-1 pair/b diagnosed: process_hung: its process runs but has not answered for 500ms (no answer)
  5.737s == i-1 sim detected: whole system: S = 0.00, at or under the threshold 0.50
  5.743s route pair [active a; a down, b down]: a down
  5.743s stop pair/a: live: no answer
  6.744s route pair [active a; a out, b down]: a out
  6.744s start pair/a attempt 1 epoch 1: live: no answer
  6.744s stop pair/b: live: no answer
  6.747s route pair [active a; a down, b down]: a down
  6.870s promote pair/a epoch 2: no member is primary: b process_hung
  6.870s route pair [active a; a out, b down]: a out
  6.870s == i-1 sim detected: whole system: S = 0.50, at or under the threshold 0.50
  6.876s route pair [active a; a in, b down]: a in
  6.879s == i-1 pair failed over: serves again, by a under epoch 2; outage 1.64s
  7.745s route pair [active a; a in, b out]: b out
  7.745s start pair/b attempt 1 epoch 2: live: no answer
  7.747s route pair [active a; a in, b down]: b down
  7.871s route pair [active a; a in, b out]: b out
  7.874s == i-1 pair recovered: redundancy restored, 2/2; outage 1.64s
  [pair/a up primary; pair/b up; S=1.00]
+8s end
