# rest_for_one: the member that failed restarts, and those listed after it.
system rest_for_one
+0s begin
  0.001s start haproxy/haproxy epoch 1: first choice of the file that may start
  0.001s start trio/a: it should run and does not
  0.001s start trio/b: it should run and does not
  0.001s start trio/c: it should run and does not
  0.122s route trio [a down, b down, c down]: what the balancer does is not known: a down, b down, c down
  0.127s route trio [a in, b down, c down]: a in
  0.130s route trio [a in, b in, c in]: b in, c in
  [trio/a up; trio/b up; trio/c up; S=1.00]
+5s crash trio/b
  5.000s route trio [a in, b out, c in]: b out
  5.000s == i-1 trio/b detected: its process is ending
  5.001s start trio/b attempt 1: killed by SIGSEGV
  5.001s == i-1 trio/b detected: killed by SIGSEGV
  5.001s == i-1 trio/b diagnosed: process_exited: killed by SIGSEGV
  5.003s route trio [a in, b down, c in]: b down
  5.003s stop trio/c: trio/b had to be restarted, and its strategy is rest_for_one
  5.006s == i-1 trio failed over: traffic goes on without it, by a, c
  5.014s route trio [a in, b down, c out]: c out
  5.014s == i-1 trio detected: S = 0.33, at or under the threshold 0.50
  5.014s == i-1 sim detected: whole system: S = 0.33, at or under the threshold 0.50
  5.014s start trio/c: trio/b had to be restarted, and its strategy is rest_for_one
  5.017s route trio [a in, b down, c down]: c down
  5.127s route trio [a in, b in, c down]: b in
  5.141s route trio [a in, b in, c in]: c in
  5.144s == i-1 trio recovered: redundancy restored, 3/3; outage 0ms
  [trio/a up; trio/b up; trio/c up; S=1.00]
+8s end
