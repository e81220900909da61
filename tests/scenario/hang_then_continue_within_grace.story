# A member is stopped by a signal and continues within the grace: traffic leaves, nothing is killed.
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
+5s freeze trio/a for 300ms
  5.000s route trio [a out, b in, c in]: a out
  5.000s == i-1 trio/a detected: stopped by a signal: it runs but does nothing
  5.000s == i-1 trio/a diagnosed: process_hung: its process was stopped by a signal and does nothing
  5.003s == i-1 trio failed over: traffic goes on without it, by b, c
  5.300s route trio [a in, b in, c in]: a in
  5.303s == i-1 trio recovered: redundancy restored, 3/3; outage 0ms
  [trio/a up; trio/b up; trio/c up; S=1.00]
+3s end
