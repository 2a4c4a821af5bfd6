"""What tests and benchmark share: engines to talk to, images to run, a plain HTTP client, a look at the host."""
