"""The data services of Cerro: releases, and TAP and discovery over them."""
