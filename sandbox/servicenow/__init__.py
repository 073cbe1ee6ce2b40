"""A ServiceNow instance: OAuth provider, REST APIs, data and the rules behind them."""
