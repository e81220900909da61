# What fails while no agent looks is counted from when it was last known to run, and nobody else is said to be down.
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
+5s agent_crash for 3s
  [pair/a up primary; pair/b up; S=1.00]
+1s crash pair/a
  8.001s start pair/a attempt 1 epoch 3: its process is gone
  8.001s == i-1 pair/a detected: its process is gone
  8.001s == i-1 pair detected: S = 0.00, at or under the threshold 0.50
  8.001s == i-1 pair/a diagnosed: process_exited: its process is gone
  8.001s route pair [active a; a down, b out]: what the balancer does is not known: active a; a down, b out
  8.004s == i-1 pair detected: S = 0.50, at or under the threshold 0.50
  8.004s == i-1 sim detected: whole system: S = 0.50, at or under the threshold 0.50
  8.004s promote pair/b epoch 4: no member is primary: a process_exited
  8.010s route pair [active b; a down, b in]: active b, b in
  8.013s == i-1 pair failed over: serves again, by b under epoch 4; outage 3.49s
  8.127s route pair [active b; a out, b in]: a out
  8.130s == i-1 pair recovered: redundancy restored, 2/2; outage 3.49s
  [pair/a up; pair/b up primary; S=1.00]
+5s end
