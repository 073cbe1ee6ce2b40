"""What an instance answers over HTTP: OAuth, REST APIs, pages."""
