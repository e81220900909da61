# A dependency is down: the dependent is not restarted meanwhile, and one incident tells it all.
system chain
+0s begin
  0.001s start haproxy/haproxy epoch 1: first choice of the file that may start
  0.001s start store/x epoch 1: first choice of the file that may start
  0.122s route web [p down, q down]: what the balancer does is not known: p down, q down
  0.127s start db/a: it should run and does not
  0.127s start db/b: it should run and does not
  0.253s promote db/a epoch 1: no member is primary
  0.259s start web/p: it should run and does not
  0.259s start web/q: it should run and does not
  0.385s route web [p in, q down]: p in
  0.388s route web [p in, q in]: q in
  [store/x up; db/a up primary; db/b up; web/p up; web/q up; S=1.00]
+6s fail_start store/x for 3s
  [store/x up; db/a up primary; db/b up; web/p up; web/q up; S=1.00]
+10ms crash store/x
  6.011s == i-1 store/x detected: its process is ending
  6.011s == i-1 store detected: S = 0.00, at or under the threshold 0.50
  6.011s start store/x attempt 1 epoch 2: killed by SIGSEGV
  6.011s == i-1 store/x detected: killed by SIGSEGV
  6.011s == i-1 store/x diagnosed: process_exited: killed by SIGSEGV
  6.032s == i-1 store/x detected: no such program
  [store/x down; db/a up primary; db/b up; web/p up; web/q up; S=0.80; withheld start store/x: backoff]
+100ms crash db/a
  6.111s == i-1 db/a detected: its process is ending
  6.111s == i-1 db detected: S = 0.50, at or under the threshold 0.50
  6.111s promote db/b epoch 2: no member is primary: a dependency_down
  6.111s == i-1 db/a diagnosed: dependency_down: store does not serve, and db/a depends on it
  6.140s start store/x attempt 2 epoch 3: no such program
  6.399s start store/x attempt 3 epoch 4: no such program
  6.420s == i-1 store/x diagnosed: restart_budget_spent: it fails again after each restart
  14.420s start store/x attempt 4 epoch 5: no such program; one more attempt after 8s
  14.546s start db/a epoch 2: it should run and does not
  14.546s == i-1 store failed over: serves again, by x under epoch 5; outage 8.54s
  14.546s == i-1 db/a diagnosed: process_exited: killed by SIGSEGV
  17.420s == i-1 store recovered: redundancy restored, 3/3; outage 8.54s
  [store/x up; db/a up; db/b up primary; web/p up; web/q up; S=1.00]
+14s end
