# The file no longer names the primary: the other one is promoted only when it is gone.
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
+5s fail_stop pair/a for 500ms
  [pair/a up primary; pair/b up; S=1.00]
+10ms policy to without_first
  5.010s route pair [b out]: active nobody
  5.010s stop pair/a: the file no longer names it
  5.121s promote pair/b epoch 2: no member is primary
  5.127s route pair [active b; b in]: active b, b in
  6.522s stop pair/a at once: what its last life may have left behind is ended
  [pair/b up primary; S=1.00]
+4s end
