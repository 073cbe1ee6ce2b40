"""One bounded HTTP transport for every outside service; it knows none of them, nor what their answers mean.

:class:`shared.outbound.transport.Transport` is the way out.
"""
