"""The world behind Graph: tenants, their controls and what Microsoft has measured of them. It knows no HTTP."""
