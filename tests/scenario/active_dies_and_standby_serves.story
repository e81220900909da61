# The active member dies: the standby serves at once, and the dead one comes back as standby.
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
+5s crash pair/a
  5.000s route pair [active a; a out, b in]: a out
  5.000s == i-1 pair/a detected: its process is ending
  5.000s == i-1 pair detected: S = 0.50, at or under the threshold 0.50
  5.000s == i-1 sim detected: whole system: S = 0.50, at or under the threshold 0.50
  5.001s promote pair/b epoch 2: no member is primary: a process_exited
  5.001s start pair/a attempt 1 epoch 1: killed by SIGSEGV
  5.001s == i-1 pair/a detected: killed by SIGSEGV
  5.001s == i-1 pair/a diagnosed: process_exited: killed by SIGSEGV
  5.003s route pair [active a; a down, b in]: a down
  5.007s route pair [active b; a down, b in]: active b
  5.010s == i-1 pair failed over: serves again, by b under epoch 2; outage 10ms
  5.127s route pair [active b; a in, b in]: a in
  5.130s == i-1 pair recovered: redundancy restored, 2/2; outage 10ms
  [pair/a up; pair/b up primary; S=1.00]
+5s end
