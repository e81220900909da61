# A restart by plan: one member at a time, each after its sessions ended, the primary last and only after its role moved.
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
  6.001s stop pair/b: asked for by operator
  6.011s route pair [active a; a in, b out]: b out
  6.012s start pair/b epoch 1: asked for by operator
  6.014s route pair [active a; a in, b down]: b down
  6.138s demote pair/a: it has to be restarted: asked for by operator; b takes over
  6.138s route pair [active a; a in, b in]: b in
  6.144s promote pair/b epoch 2: no member is primary
  6.144s route pair [active a; a drain, b in]: a drain
  6.150s route pair [active b; a drain, b in]: active b
  7.001s stop pair/a: asked for by operator
  7.011s route pair [active b; a out, b in]: a out
  7.012s start pair/a epoch 2: asked for by operator
  7.014s route pair [active b; a down, b in]: a down
  7.138s route pair [active b; a in, b in]: a in
  [pair/a up; pair/b up primary; S=1.00]
+10s end
