"""One day of the whole loop, played: simulated phones over HTTP, real parts behind them."""
