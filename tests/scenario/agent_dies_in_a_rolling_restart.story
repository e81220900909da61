# An agent that starts in the middle of a rolling restart asks the members how they are before it ends the next one.
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
+5s restart pair
  5.000s stop pair/b: asked for by operator
  5.011s route pair [active a; a in, b down]: b down
  5.011s start pair/b epoch 1: asked for by operator
  [pair/a up primary; pair/b unknown; S=0.50; withheld restart pair/a: one_at_a_time]
+50ms agent_crash for 1s
  6.051s route pair [active a; a in, b down]: what the balancer does is not known: active a; a in, b down
  6.054s demote pair/a: it has to be restarted: asked for by operator; b takes over
  6.054s route pair [active a; a in, b out]: b out
  6.060s route pair [active a; a out, b out]: a out
  6.063s promote pair/b epoch 4: no member is primary
  6.069s route pair [active b; a out, b in]: active b, b in
  7.051s stop pair/a: asked for by operator
  7.062s route pair [active b; a down, b in]: a down
  7.062s start pair/a epoch 4: asked for by operator
  7.188s route pair [active b; a out, b in]: a out
  [pair/a up; pair/b up primary; S=1.00]
+5s end
