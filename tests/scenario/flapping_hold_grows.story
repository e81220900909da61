# A member that comes and goes is held out of traffic, and longer the second time.
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
+5s freeze trio/a for 100ms
  5.000s route trio [a out, b in, c in]: a out
  5.000s == i-1 trio/a detected: stopped by a signal: it runs but does nothing
  5.000s == i-1 trio/a diagnosed: process_hung: its process was stopped by a signal and does nothing
  5.003s == i-1 trio failed over: traffic goes on without it, by b, c
  5.100s route trio [a in, b in, c in]: a in
  5.103s == i-1 trio recovered: redundancy restored, 3/3; outage 0ms
  [trio/a up; trio/b up; trio/c up; S=1.00]
+500ms freeze trio/a for 100ms
  5.500s route trio [a out, b in, c in]: a out
  5.500s == i-2 trio/a detected: stopped by a signal: it runs but does nothing
  5.500s == i-2 trio/a diagnosed: process_hung: its process was stopped by a signal and does nothing
  5.503s == i-2 trio failed over: traffic goes on without it, by b, c
  5.600s route trio [a in, b in, c in]: a in
  5.603s == i-2 trio recovered: redundancy restored, 3/3; outage 0ms
  [trio/a up; trio/b up; trio/c up; S=1.00]
+500ms freeze trio/a for 100ms
  6.000s route trio [a out, b in, c in]: a out
  6.000s == i-3 trio/a detected: stopped by a signal: it runs but does nothing
  6.000s == i-3 trio/a diagnosed: process_hung: its process was stopped by a signal and does nothing
  6.003s == i-3 trio failed over: traffic goes on without it, by b, c
  6.100s route trio [a in, b in, c in]: a in
  6.103s == i-3 trio recovered: redundancy restored, 3/3; outage 0ms
  [trio/a up; trio/b up; trio/c up; S=1.00]
+500ms freeze trio/a for 100ms
  6.500s route trio [a out, b in, c in]: a out
  6.500s == i-4 trio/a detected: stopped by a signal: it runs but does nothing
  6.500s == i-4 trio/a detected: fell more than 3 times within 6s
  6.500s == i-4 trio/a diagnosed: process_hung: its process was stopped by a signal and does nothing
  6.503s == i-4 trio failed over: traffic goes on without it, by b, c
  6.600s == i-4 trio/a diagnosed: unknown: it comes and goes: fell more than 3 times within 6s
  7.001s == i-4 trio/a detected: fell more than 3 times within 6s
  7.500s route trio [a in, b in, c in]: a in
  7.503s == i-4 trio recovered: redundancy restored, 3/3; outage 0ms
  [trio/a up; trio/b up; trio/c up; S=1.00]
+2s freeze trio/a for 100ms
  8.500s route trio [a out, b in, c in]: a out
  8.500s == i-5 trio/a detected: stopped by a signal: it runs but does nothing
  8.500s == i-5 trio/a diagnosed: process_hung: its process was stopped by a signal and does nothing
  8.503s == i-5 trio failed over: traffic goes on without it, by b, c
  8.600s route trio [a in, b in, c in]: a in
  8.603s == i-5 trio recovered: redundancy restored, 3/3; outage 0ms
  [trio/a up; trio/b up; trio/c up; S=1.00]
+500ms freeze trio/a for 100ms
  9.000s route trio [a out, b in, c in]: a out
  9.000s == i-6 trio/a detected: stopped by a signal: it runs but does nothing
  9.000s == i-6 trio/a diagnosed: process_hung: its process was stopped by a signal and does nothing
  9.003s == i-6 trio failed over: traffic goes on without it, by b, c
  9.100s route trio [a in, b in, c in]: a in
  9.103s == i-6 trio recovered: redundancy restored, 3/3; outage 0ms
  [trio/a up; trio/b up; trio/c up; S=1.00]
+500ms freeze trio/a for 100ms
  9.500s route trio [a out, b in, c in]: a out
  9.500s == i-7 trio/a detected: stopped by a signal: it runs but does nothing
  9.500s == i-7 trio/a diagnosed: process_hung: its process was stopped by a signal and does nothing
  9.503s == i-7 trio failed over: traffic goes on without it, by b, c
  9.600s route trio [a in, b in, c in]: a in
  9.603s == i-7 trio recovered: redundancy restored, 3/3; outage 0ms
  [trio/a up; trio/b up; trio/c up; S=1.00]
+500ms freeze trio/a for 100ms
  10.000s route trio [a out, b in, c in]: a out
  10.000s == i-8 trio/a detected: stopped by a signal: it runs but does nothing
  10.000s == i-8 trio/a detected: fell more than 3 times within 6s
  10.000s == i-8 trio/a diagnosed: process_hung: its process was stopped by a signal and does nothing
  10.003s == i-8 trio failed over: traffic goes on without it, by b, c
  10.100s == i-8 trio/a diagnosed: unknown: it comes and goes: fell more than 3 times within 6s
  11.001s == i-8 trio/a detected: fell more than 3 times within 6s
  11.500s == i-8 trio/a detected: fell more than 3 times within 6s
  12.000s route trio [a in, b in, c in]: a in
  12.003s == i-8 trio recovered: redundancy restored, 3/3; outage 0ms
  [trio/a up; trio/b up; trio/c up; S=1.00]
+6s end
