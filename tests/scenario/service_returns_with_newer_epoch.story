# Found by the simulator: a service that left the file and returns goes on with its epochs.
system single
+0s begin
  0.001s start one/a epoch 1: first choice of the file that may start
  [one/a up; one/b stopped; S=1.00]
+5s policy to without_service
  5.000s stop one/a: the file no longer names it
  [; S=1.00]
+3s policy to base
  8.000s start one/a epoch 2: first choice of the file that may start
  [one/a up; one/b stopped; S=1.00]
+2s end
