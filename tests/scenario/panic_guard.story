# The probes of two of three members fail at once. That speaks against the probe: their traffic stays.
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
+5s unready trio/a for 5s
  [trio/a up; trio/b up; trio/c up; S=1.00]
+10ms unready trio/b for 5s
  5.341s route trio [a down, b in, c in]: a down
  5.341s == i-1 trio/a detected: ready: HTTP 503
  5.341s == i-1 trio/a diagnosed: probe_failing: ready: HTTP 503
  5.341s == i-1 trio/b detected: ready: HTTP 503
  5.341s == i-1 trio detected: S = 0.33, at or under the threshold 0.50
  5.341s == i-1 trio/b diagnosed: probe_failing: ready: HTTP 503
  5.341s == i-1 sim detected: whole system: S = 0.33, at or under the threshold 0.50
  5.344s route trio [a in, b in, c in]: a in
  5.347s == i-1 trio failed over: traffic goes on without it, by c
  10.453s route trio [a in, b down, c in]: b down
  10.456s route trio [a in, b in, c in]: b in
  10.459s == i-1 trio recovered: redundancy restored, 3/3; outage 0ms
  [trio/a up; trio/b up; trio/c up; S=1.00]
+10s end
