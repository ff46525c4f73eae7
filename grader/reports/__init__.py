"""Renders reports: HTML pages, terminal, CSV. Rendering decides nothing."""
