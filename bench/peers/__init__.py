"""The servers that are measured side by side; each starts in a temporary folder and takes photos by its quickest legal way."""
