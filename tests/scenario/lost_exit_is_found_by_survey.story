# The news of an end is lost: the next survey finds it.
system pair
+0s begin
  0.001s start haproxy/haproxy epoch 1: first choice of the file that may start
  0.001s start pair/a: it should run and does not
  0.001s start pair/b: it should run and does not
  0.022s route pair [a down, b down]: what the balancer does is not known: a down, b down
  0.127s promote pair/a epoch 1: no member is primary
  0.127s route pair [a in, b down]: a in
  0.130s route pair [a in, b in]: b in
  0.133s route pair [active a; a in, b in]: active a
  [pair/a up primary; pair/b up; S=1.00]
+5s lose_events for 100ms
  [pair/a up primary; pair/b up; S=1.00]
+10ms crash pair/a
  5.341s demote pair/a: primary a is down: live: connection refused; b takes over
  5.341s route pair [active a; a down, b in]: a down
  5.341s == i-1 pair/a detected: live: connection refused
  5.341s == i-1 pair detected: S = 0.50, at or under the threshold 0.50
  5.341s == i-1 pair/a diagnosed: port_refused: its process runs but nothing accepts connections (connection refused)
  5.341s == i-1 sim detected: whole system: S = 0.50, at or under the threshold 0.50
  5.347s promote pair/b epoch 2: no member is primary: a port_refused
  5.347s stop pair/a: live: connection refused
  5.353s route pair [active b; a down, b in]: active b
  5.356s == i-1 pair failed over: serves again, by b under epoch 2; outage 15ms
  5.358s start pair/a attempt 1 epoch 2: live: connection refused
  5.484s route pair [active b; a in, b in]: a in
  5.487s == i-1 pair recovered: redundancy restored, 2/2; outage 15ms
  [pair/a up; pair/b up primary; S=1.00]
+5s end
