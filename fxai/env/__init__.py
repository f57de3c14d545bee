"""The batched trading environment: accounts, costs, rewards."""
