# A planned move: the old primary steps down first, then the other one is promoted.
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
+5s switchover pair to b
  5.000s demote pair/a: switchover asked for by operator; b takes over
  5.006s route pair [active a; a out, b out]: a out
  5.009s promote pair/b epoch 2: planned switchover
  5.015s route pair [active b; a out, b in]: active b, b in
  [pair/a up; pair/b up primary; S=1.00]
+100ms switchover pair to b
  5.100s (switchover: refused: b already serves pair)
  [pair/a up; pair/b up primary; S=1.00]
+3s end
