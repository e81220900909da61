# one_for_all: when one has to restart, all members do.
system one_for_all
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
+5s crash pair/b
  5.000s route pair [active a; a in, b out]: b out
  5.000s == i-1 pair/b detected: its process is ending
  5.000s == i-1 pair detected: S = 0.50, at or under the threshold 0.50
  5.000s == i-1 sim detected: whole system: S = 0.50, at or under the threshold 0.50
  5.001s start pair/b attempt 1 epoch 1: killed by SIGSEGV
  5.001s == i-1 pair/b detected: killed by SIGSEGV
  5.001s == i-1 pair/b diagnosed: process_exited: killed by SIGSEGV
  5.003s route pair [active a; a in, b down]: b down
  5.003s stop pair/a: pair/b had to be restarted, and its strategy is one_for_all
  5.006s == i-1 pair failed over: traffic goes on without it, by a under epoch 1
  5.014s route pair [active a; a out, b down]: a out
  5.014s == i-1 pair detected: S = 0.00, at or under the threshold 0.50
  5.014s == i-1 sim detected: whole system: S = 0.00, at or under the threshold 0.50
  5.014s start pair/a epoch 1: pair/b had to be restarted, and its strategy is one_for_all
  5.017s route pair [active a; a down, b down]: a down
  5.127s promote pair/b epoch 2: no member is primary
  5.127s route pair [active a; a down, b in]: b in
  5.133s route pair [active b; a down, b in]: active b
  5.136s == i-1 pair failed over: serves again, by b under epoch 2; outage 122ms
  5.141s route pair [active b; a in, b in]: a in
  5.144s == i-1 pair recovered: redundancy restored, 2/2; outage 122ms
  [pair/a up; pair/b up primary; S=1.00]
+8s end
