# Both members work, with warnings: S is at its threshold and told, but nobody is moved, and the incident does not say so.
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
+5s degraded pair/a for 3s
  [pair/a up primary; pair/b up; S=1.00]
+10ms degraded pair/b for 3s
  5.239s == i-1 pair detected: S = 0.50, at or under the threshold 0.50
  5.239s == i-1 pair/a diagnosed: probe_failing: it works with warnings; S = 0.50, at or under the threshold 0.50
  5.239s == i-1 pair/b diagnosed: probe_failing: it works with warnings; S = 0.50, at or under the threshold 0.50
  5.239s == i-1 pair failed over: serves on, by a under epoch 1
  8.245s == i-1 pair recovered: redundancy restored, 2/2; outage 0ms
  [pair/a up primary; pair/b up; S=1.00]
+8s end
