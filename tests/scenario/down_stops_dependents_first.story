# Everything is to be stopped: dependents first, the balancer last, and nothing of it is a failure.
system chain
+0s begin
  0.001s start haproxy/haproxy epoch 1: first choice of the file that may start
  0.001s start store/x epoch 1: first choice of the file that may start
  0.122s route web [p down, q down]: what the balancer does is not known: p down, q down
  0.127s start db/a: it should run and does not
  0.127s start db/b: it should run and does not
  0.253s promote db/a epoch 1: no member is primary
  0.259s start web/p: it should run and does not
  0.259s start web/q: it should run and does not
  0.385s route web [p in, q down]: p in
  0.388s route web [p in, q in]: q in
  [store/x up; db/a up primary; db/b up; web/p up; web/q up; S=1.00]
+6s down
  6.000s stop web/p: everything is being stopped
  6.000s stop web/q: everything is being stopped
  6.011s stop db/a: everything is being stopped
  6.011s stop db/b: everything is being stopped
  6.022s stop store/x: everything is being stopped
  6.033s stop haproxy/haproxy: everything is being stopped
  [store/x stopped; db/a stopped; db/b stopped; web/p stopped; web/q stopped; S=1.00]
+5s end
