# One service of the file changed: only its members are restarted, one after the other.
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
+6s policy to changed
  6.000s route web [p drain, q in]: p drain
  7.001s stop web/p: its command, environment, user or directory changed in the file
  7.011s route web [p out, q in]: p out
  7.012s start web/p: it should run and does not
  7.014s route web [p down, q in]: p down
  7.138s route web [p in, q drain]: p in, q drain
  8.001s stop web/q: its command, environment, user or directory changed in the file
  8.011s route web [p in, q out]: q out
  8.012s start web/q: it should run and does not
  8.014s route web [p in, q down]: q down
  8.138s route web [p in, q in]: q in
  [store/x up; db/a up primary; db/b up; web/p up; web/q up; S=1.00]
+10s end
