"""One script a route, run with another environment's Python; what is installed there is not EdgeMI."""
