# A primary that is stopped by a signal cannot run its demote hook and might serve again when continued: it is ended before the
# other one is promoted.
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
+5s freeze pair/a
  5.000s stop pair/a at once: it cannot be demoted and might still serve; primary a is down: stopped by a signal: it runs but does nothing; b takes over
  5.000s route pair [active a; a out, b out]: a out
  5.000s == i-1 pair/a detected: stopped by a signal: it runs but does nothing
  5.000s == i-1 pair detected: S = 0.50, at or under the threshold 0.50
  5.000s == i-1 pair/a diagnosed: process_hung: its process was stopped by a signal and does nothing
  5.000s == i-1 sim detected: whole system: S = 0.50, at or under the threshold 0.50
  5.011s promote pair/b epoch 2: no member is primary
  5.011s route pair [active a; a down, b out]: a down
  5.011s start pair/a attempt 1 epoch 2: stopped by a signal: it runs but does nothing
  5.017s route pair [active b; a down, b in]: active b, b in
  5.020s == i-1 pair failed over: serves again, by b under epoch 2; outage 20ms
  5.137s route pair [active b; a out, b in]: a out
  5.140s == i-1 pair recovered: redundancy restored, 2/2; outage 20ms
  [pair/a up; pair/b up primary; S=1.00]
+5s end
