"""Floor 4: the components as processes of this host, behind `ports.components.Components`.

`local.LocalProcesses` is the adapter. Everything else here is one idea in one file: what /proc says, who a
process is, what is written beside it, how it is started, how all of it is found and ended.
"""
