# The balancer dies: it is started again and told again what it should do.
system spread
+0s begin
  0.001s start haproxy/haproxy epoch 1: first choice of the file that may start
  0.001s start trio/a: it should run and does not
  0.001s start trio/b: it should run and does not
  0.001s start trio/c: it should run and does not
  0.122s route trio [a down, b down, c down]: what the balancer does is not known: a down, b down, c down
  0.127s route trio [a in, b down, c down]: a in
  0.130s route trio [a in, b in, c in]: b in, c in
  [trio/a up; trio/b up; trio/c up; S=1.00]
+5s crash haproxy/haproxy
  5.000s == i-1 haproxy/haproxy detected: its process is ending
  5.000s == i-1 haproxy detected: S = 0.00, at or under the threshold 0.50
  5.001s start haproxy/haproxy attempt 1 epoch 2: killed by SIGSEGV
  5.001s == i-1 haproxy/haproxy detected: killed by SIGSEGV
  5.001s == i-1 haproxy/haproxy diagnosed: process_exited: killed by SIGSEGV
  5.522s == i-1 haproxy failed over: serves again, by haproxy under epoch 2; outage 522ms
  5.522s == i-1 haproxy recovered: redundancy restored, 1/1; outage 522ms
  [trio/a up; trio/b up; trio/c up; S=1.00]
+4s end
