"""Microsoft Purview Compliance Manager, as far as the outside sees it: a page that gives its actions as a workbook.

Compliance Manager has no API (Microsoft Graph §4.1), so the workbook is its only interface.
"""
