"""The pages; each file is one script that ``app/main.py`` routes to."""
