# Both members of a pair fail their readiness: the last one keeps its traffic, since nobody else could serve.
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
+5s unready pair/b for 5s
  5.341s route pair [active a; a in, b down]: b down
  5.341s == i-1 pair/b detected: ready: HTTP 503
  5.341s == i-1 pair detected: S = 0.50, at or under the threshold 0.50
  5.341s == i-1 pair/b diagnosed: probe_failing: ready: HTTP 503
  5.341s == i-1 sim detected: whole system: S = 0.50, at or under the threshold 0.50
  5.344s == i-1 pair failed over: traffic goes on without it, by a under epoch 1
  [pair/a up primary; pair/b down; S=0.50; withheld restart pair/b: readiness_only]
+2s unready pair/a for 3s
  7.345s == i-1 pair/a detected: ready: HTTP 503
  7.345s == i-1 pair detected: S = 0.00, at or under the threshold 0.50
  7.345s == i-1 pair/a diagnosed: probe_failing: ready: HTTP 503
  7.345s == i-1 sim detected: whole system: S = 0.00, at or under the threshold 0.50
  10.453s demote pair/a: primary a is down: ready: HTTP 503; b takes over
  10.453s route pair [active a; a down, b in]: a down, b in
  10.453s == i-1 sim detected: whole system: S = 0.50, at or under the threshold 0.50
  10.456s route pair [active a; a in, b in]: a in
  10.459s promote pair/a epoch 2: no member is primary
  10.465s == i-1 pair failed over: serves again, by a under epoch 2; outage 3.12s
  10.465s == i-1 pair recovered: redundancy restored, 2/2; outage 3.12s
  [pair/a up primary; pair/b up; S=1.00]
+8s end
