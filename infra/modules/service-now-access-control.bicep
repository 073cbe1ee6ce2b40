metadata description = 'What to enter in ServiceNow so that it answers the app.'

@export()
@description('One rule for System Security > IP Address Access Control for each address or range, one a line.')
func accessControl(addresses string[]) string =>
  join(
    map(
      map(addresses, address => contains(address, '/') ? address : '${address}/32'),
      range => accessControlRule(parseCidr(range).network, parseCidr(range).broadcast)
    ),
    '\n'
  )

@export()
@description('A rule from the first address to the last.')
func accessControlRule(first string, last string) string =>
  'Type: Allow, Range start: ${first}, Range end: ${last}, Active: true'
