# The news of an end is lost, and no probe asks: the next survey finds it.
system bare
+0s begin
  0.001s start one/a epoch 1: first choice of the file that may start
  [one/a up; one/b stopped; S=1.00]
+5s lose_events for 100ms
  [one/a up; one/b stopped; S=1.00]
+10ms crash one/a
  6.004s start one/a attempt 1 epoch 2: it was gone when processes were surveyed; how it ended is not known
  6.004s == i-1 one/a detected: it was gone when processes were surveyed; how it ended is not known
  6.004s == i-1 one detected: S = 0.00, at or under the threshold 0.50
  6.004s == i-1 one/a diagnosed: process_exited: it was gone when processes were surveyed; how it ended is not known
  6.004s == i-1 sim detected: whole system: S = 0.00, at or under the threshold 0.50
  6.525s == i-1 one failed over: serves again, by a under epoch 2; outage 521ms
  6.525s == i-1 one recovered: redundancy restored, 1/1; outage 521ms
  [one/a up; one/b stopped; S=1.00]
+5s end
