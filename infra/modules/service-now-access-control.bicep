metadata description = 'What to enter in ServiceNow so that it answers the app.'

@export()
@description('One rule for System Security > IP Address Access Control for each address or range, one a line.')
func accessControl(addresses string[]) string =>
  join(map(addresses, address => rule(contains(address, '/') ? address : '${address}/32')), '\n')

func rule(range string) string =>
  'Type: Allow, Range start: ${parseCidr(range).network}, Range end: ${parseCidr(range).broadcast}, Active: true'
