# The agent dies and comes back: what runs is adopted as it is, and nothing is restarted.
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
+5s agent_crash for 500ms
  5.501s route pair [active a; a in, b out]: what the balancer does is not known: active a; a in, b out
  [pair/a up primary; pair/b up; S=1.00]
+5s end
