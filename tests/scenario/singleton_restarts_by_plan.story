# Found by the simulator: the one member that runs drains first, though cold members are listed beside it.
system single_three
+0s begin
  0.001s start haproxy/haproxy epoch 1: first choice of the file that may start
  0.001s start one/a epoch 1: first choice of the file that may start
  0.122s route one [active a; a down, b down, c down]: what the balancer does is not known: active a; a down, b down, c down
  0.127s route one [active a; a in, b down, c down]: a in
  [one/a up; one/b stopped; one/c stopped; S=1.00]
+5s restart one
  5.000s route one [active a; a drain, b down, c down]: a drain
  6.001s stop one/a: asked for by operator
  6.011s route one [active a; a out, b down, c down]: a out
  6.012s start one/a epoch 2: asked for by operator
  6.014s route one [active a; a down, b down, c down]: a down
  6.138s route one [active a; a in, b down, c down]: a in
  [one/a up; one/b stopped; one/c stopped; S=1.00]
+5s end
