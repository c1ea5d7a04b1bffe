raise RuntimeError("code that does not start")
