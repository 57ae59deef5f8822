"""What a person, a program or a supervisor sees of a command.

report          counters and checks as text and as JSON
plural          "1 packet", "2 packets"
signals         SIGINT, SIGTERM, SIGUSR1 as events
main_loop       wait, handle signals, feed the watchdog, report: of every command that runs until it is ended
read_to_end     run a pipeline over a file, with progress on a terminal
settings        options from a TOML file and the environment
outputs, fifo   files, pipes and FIFOs that are written to
systemd         readiness and watchdog
"""
