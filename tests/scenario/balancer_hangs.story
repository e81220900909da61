# The balancer hangs though its process runs: nobody is served, and only its silence tells. It is ended and started anew.
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
+5s hang haproxy/haproxy
  6.000s route trio [a in, b in, c in]: what the balancer does is not known: a in, b in, c in
  6.203s route trio [a in, b in, c in]: what the balancer does is not known: a in, b in, c in
  6.606s route trio [a in, b in, c in]: what the balancer does is not known: a in, b in, c in
  7.409s route trio [a in, b in, c in]: what the balancer does is not known: a in, b in, c in
  9.012s route trio [a in, b in, c in]: what the balancer does is not known: a in, b in, c in
  11.000s stop haproxy/haproxy at once: its process runs, but its runtime socket does not answer
  11.000s == i-1 haproxy/haproxy detected: its process runs, but its runtime socket does not answer
  11.000s == i-1 haproxy detected: S = 0.00, at or under the threshold 0.50
  11.000s == i-1 haproxy/haproxy diagnosed: process_hung: its process runs, but its runtime socket has not answered for 5s
  11.011s start haproxy/haproxy attempt 1 epoch 2: its process runs, but its runtime socket does not answer
  11.532s == i-1 haproxy failed over: serves again, by haproxy under epoch 2; outage 5.53s
  11.532s == i-1 haproxy recovered: redundancy restored, 1/1; outage 5.53s
  12.001s route trio [a in, b in, c in]: what the balancer does is not known: a in, b in, c in
  [trio/a up; trio/b up; trio/c up; S=1.00]
+15s end
