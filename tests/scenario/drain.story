# A drained primary gives its role away and takes no new work; ended, it is a candidate again.
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
+5s drain pair/a for 3s
  5.000s demote pair/a: drained by operator; b takes over
  5.000s route pair [active a; a drain, b in]: a drain
  5.006s promote pair/b epoch 2: no member is primary
  5.012s route pair [active b; a drain, b in]: active b
  [pair/a draining; pair/b up primary; S=1.00]
+1s drain pair/b
  6.000s (drain: refused: pair/b is the last member that can serve (a: draining); add --force to drain it all the same)
  8.000s route pair [active b; a in, b in]: a in
  [pair/a up; pair/b up primary; S=1.00]
+5s end
