"""Whether ServiceNow will accept a connection's tickets: what can be seen in advance, and the test ticket."""
