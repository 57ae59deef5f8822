"""What bridge and monitor serve over HTTP: metrics for Prometheus, /healthz, and a page for people.

server      the connections: who may ask, for how long, and which path is answered by whom
page        an HTML document that needs nothing from elsewhere, and its security policy
tables      what both pages show, from counters and their history
families    metrics that both have
survey      whose namespaces and interfaces are, surveyor: the process that looks (--workloads)
health      do all workers run and make progress?
runbook     what each alert of deploy/prometheus means, and what to do
"""
